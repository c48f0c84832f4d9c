# Overlays over the machine's folders, in memory. $1 is the lab's folder, $2 the workspace.
mount --make-rprivate /
mkdir "$1/guide"
mount -t tmpfs -o mode=0755 tmpfs "$1/guide"
for folder in etc var usr/local; do
    upper=$1/guide/$folder/upper work=$1/guide/$folder/work
    mkdir -p "$upper" "$work"
    mount -t overlay -o "lowerdir=/$folder,upperdir=$upper,workdir=$work" overlay "/$folder"
done
mount -t tmpfs -o mode=0755 tmpfs /run/blocker
# The machine's own network namespace has the well-known socket; here another one's stands for it.
ln -s "net-$(stat --format %i --dereference /proc/self/ns/net).sock" /run/blocker/control.sock
rm -rf /etc/blocker /etc/fail2ban /var/lib/blocker /var/lib/fail2ban
# What a page has cloned and built.
mkdir -p /var/tmp/home/target/release /var/log
ln -s "$2" /var/tmp/home/blocker
ln -s "$2/target/debug/blocker" /var/tmp/home/target/release/blocker
ip route add default via 192.0.2.254 dev eth0
echo furnished
exec cat
