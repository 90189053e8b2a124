"""Reports a person would show: pure drawing functions, and what they draw of a recording or an evaluation."""
