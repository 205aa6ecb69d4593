"""Drawings as inline SVG, each with the numbers it shows."""
