"""Attendance: who was there, when, by evidence that may arrive late, twice, reordered, or never."""
