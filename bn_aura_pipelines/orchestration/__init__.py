"""What cuts across the domains: runs of the graph, the instance they are kept in, the processes that serve it."""
