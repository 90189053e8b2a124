"""Closed-loop trials and what they prove."""
