"""What the Makefile runs besides programs that everybody knows."""
