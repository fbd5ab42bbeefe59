"""Signals, sounds, pictures, explorers and exercises for the notebooks of the course."""
