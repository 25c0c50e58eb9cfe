"""What happens in virtual time: callers, servers, faults."""
