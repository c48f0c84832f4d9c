#!/bin/sh
# What the agent has said, or what Postfix has logged.
case "$*" in
*blocker*) exec cat /var/log/blocker.log ;;
*) exec cat /var/log/mail.log ;;
esac
