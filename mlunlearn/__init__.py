"""Machine unlearning in scikit-learn's style: fit, unlearn, audit."""
