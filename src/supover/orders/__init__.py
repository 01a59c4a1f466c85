"""Orders: taking them in, their status, refunds, holds, the rate they are counted at, and why each went to its customer.

Owns the tables order, order_line, order_refund, order_decision and exchange_rate, the events of events.py, /api/orders,
/api/customers/{id}/orders and /api/rates.
"""
