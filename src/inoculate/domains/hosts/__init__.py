"""Records of hosts: system calls, Windows events, cloud audit events."""
