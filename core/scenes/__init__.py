"""Rendered people and things with questions about them: what the pages on bias and on modality steering share."""
