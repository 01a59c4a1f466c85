"""Shopify: how its webhooks are signed and what they say. Pure: nothing here reads or writes anything."""
