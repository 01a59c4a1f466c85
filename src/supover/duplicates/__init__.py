"""Duplicates: customers that may be one person, found as they come (noticing.py) and by scans (scanning.py).

Owns the tables duplicate_pair, duplicate_due, duplicate_profile, duplicate_term, duplicate_scan and duplicate_setting, and
/api/duplicates. A scan makes profiles of who is new or changed (profiles.py, of most by profile_columns.py), finds who shares a key
(blocking.py, sharing.py), adds up what speaks for each pair in bits (scoring.py), and joins pairs to groups (clustering.py, grouping.py).

Personal data: duplicate_profile.profile, .terms and .blocks (a customer's row goes when they are erased), duplicate_term.term
(names, places and contacts that at least three customers have; made anew by each full scan), duplicate_pair.reasons, .evidence
and .note (names; the pairs of who is erased go).
"""
