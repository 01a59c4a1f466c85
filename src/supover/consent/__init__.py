"""Consent: what customers said about being written to, and whether somebody may be.

Owns the tables consent_entry, consent, communication_preference, suppression, the events of events.py,
/api/customers/{id}/communication-preferences and /api/suppressions.

The ledger, consent_entry, is only ever added to; consent is what it amounts to, recounted from it in the transaction that
adds. Writers hold their customers' rows first, in the order of their ids, then the locks of the contacts, in theirs.

Personal data: consent_entry.contact, proof and source; communication_preference.language and quiet hours;
suppression.contact. Who erases a person records UNSUBSCRIBED for what they were SUBSCRIBED to, which suppresses their contacts;
then sets consent_entry.contact and proof, and suppression.contact of their contacts, to null, and removes their row of
communication_preference. The hashes stay: by them the same contact is known again without being kept.
"""
