"""Analytics: what customers are worth, always recounted from the orders.

Owns the tables customer_metrics, customer_stale, customer_day, sales_day, cohort_cell, customer_rfm, rfm_run, rfm_month,
prediction_model and customer_prediction, and the addresses below /api/analytics. Orders leave a mark in their transaction; a drain
recounts, and scores who was recounted; at night the predictions are made anew.
"""
