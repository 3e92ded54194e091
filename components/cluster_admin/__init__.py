"""What keeps a cluster's object store in order: identities, buckets and their rules, weights, how full it is."""
