"""Segments: customers who fit a filter, groups that people pick, and saved views of the customers' list.

Owns the tables segment, segment_member, segment_pick, segment_stale, segment_day and saved_view, the events of events.py,
/api/segments and /api/views. What happens to customers leaves a mark; a drain looks at the marked ones again. Personal data:
whatever somebody wrote into segment.name, description and filter, saved_view.name and query.
"""
