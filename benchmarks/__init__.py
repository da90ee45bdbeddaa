"""What is measured, and how to run it again. The figures seen are in README.md."""
