"""The benchmark: scenarios with permanent ids, a resumable runner, a report that says who lost."""
