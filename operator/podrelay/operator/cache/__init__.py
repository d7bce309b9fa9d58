"""What the operator knows: objects as the reflectors see them, and what own reads and writes have answered."""
