"""What comes before measuring: data and references checked, models trained and asked."""
