"""The mathematics of predictions: numpy arrays in, finite numbers out. No table, no clock, no other room."""
