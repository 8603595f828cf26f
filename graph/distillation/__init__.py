"""Teachers and students of D2DGN."""
