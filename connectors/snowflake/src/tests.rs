//! The connector against canned platforms, natively: what is asked, what is made of the answers, what is never said.
