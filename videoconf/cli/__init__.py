"""The commands of ``flask videoconf`` that are more than a few lines, one module for each."""
