"""Commands for people who run, store and test the course."""
