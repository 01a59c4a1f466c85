"""What every room stands on: the database, events, jobs, the API's manners. No business word, no import of a room."""
