"""From the scores of tokens to text and calls: what engines that have the scores themselves share."""
