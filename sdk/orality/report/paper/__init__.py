"""Figures for print: SVG, PDF and PNG, each with its data as CSV beside it."""
