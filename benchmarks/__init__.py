"""What is claimed about speed, measured side by side with what people write by hand."""
