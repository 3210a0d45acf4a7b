"""A package, so that it comes before the `tests` that iterative-stratification installs beside itself."""
