"""The lab: makes the bundled sample captures between the machine's own network namespaces."""
