"""Work for later as the staff see it: /api/jobs, with the dead ones to try again.

The table `job` is `kit/jobs`'s, which holds its queries and commands.
"""
