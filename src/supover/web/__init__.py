"""The screens of the sellers' staff: pages under `/`, rendered here, on the queries and commands of the rooms below.

Owns the tables `web_preference` (a person's language and time zone) and `web_recent` (what they looked at last), and publishes
nothing. A page that changes something does what the route of the API does whose operation it names, with its permission and its
line in the audit log, and leads back to a page.
"""
