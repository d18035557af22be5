"""Few-shot detection for security data: from a handful of examples to a calibrated detector."""

__version__ = "0.1.0"
