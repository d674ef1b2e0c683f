"""Ready-made AWS Lambda triggers for operations teams."""

__version__ = "0.1.0"
