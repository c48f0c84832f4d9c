# A database of fail2ban's with one ban in force, written by its own code. Arguments: its modules, the file.
import sys, time

sys.path.insert(0, sys.argv[1])
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.ticket import FailTicket


class Actions:
    def getBanTime(self):
        return 600


class Jail:
    name, database, actions = "spam", None, Actions()


database = Fail2BanDb(sys.argv[2])
database.addJail(Jail)
ticket = FailTicket("192.0.2.9", int(time.time()) - 60)
ticket.setBanTime(3600)
database.addBan(Jail, ticket)
database.close()
