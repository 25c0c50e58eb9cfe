"""One round over one problem: inputs are proposed, checked, judged, and proposed anew."""
