"""What the notebooks share: signals, sounds, pictures, explorers and exercises."""
