"""The web pages: the course from its stored outputs, with a first screen and the reference."""
