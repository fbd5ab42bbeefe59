// Replaced by the animations of the ideas.
