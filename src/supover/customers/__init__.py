"""Customers: profiles, their identities, and which customer an order belongs to.

Owns the tables customer, customer_identity, customer_told, customer_journal, tag_count, tag_change and custom_field with
custom_field_stamp and custom_field_value, suppression_key, the events of events.py, /api/customers, /api/tags, /api/tag-changes and
/api/custom-fields.

Personal data: of customer all but ids, times, status and source; value, key and other_names of customer_identity; profile of
customer_told; changes of customer_journal; text_key, number and day of custom_field_value, which go with their customer's
custom_fields.
"""
