"""Benchmarks of pairs: which of two recordings is the right one?"""
