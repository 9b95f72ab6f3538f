"""One network trained by several processes: each passes its share of every batch, and all compute the whole loss."""
