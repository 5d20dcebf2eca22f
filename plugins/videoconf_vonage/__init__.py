"""Vonage Video for videoconf."""
