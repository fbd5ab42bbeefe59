"""The app of notebook 10: a recording of one's own, from file to recovered sound."""
