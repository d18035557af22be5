"""Short texts that attackers write: domain names, URLs, HTTP requests and command lines."""
