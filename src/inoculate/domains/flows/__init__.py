"""Network flows: every format here encodes to the one schema of ``features.flows.flow_schema``."""
