/* sudo as boxes for Vagrant have it, for a guest that nobody but tests enters: everybody may become everybody without a password. */
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static unsigned number(const char *text, int *known) {
    char *end;
    unsigned long id = strtoul(text + (*text == '#'), &end, 10);
    *known = *text == '#' && !*end;
    return id;
}
int main(int count, char **words) {
    uid_t user = 0;
    gid_t group = 0;
    int known, option;
    while ((option = getopt(count, words, "+nu:g:")) != -1) {
        if (option == 'u') {
            user = number(optarg, &known);
            struct passwd *entry = known ? getpwuid(user) : getpwnam(optarg);
            if (!entry && !known) return fprintf(stderr, "sudo: unknown user %s\n", optarg), 1;
            if (entry) user = entry->pw_uid, group = entry->pw_gid;
        } else if (option == 'g') {
            group = number(optarg, &known);
            struct group *entry = known ? 0 : getgrnam(optarg);
            if (!entry && !known) return fprintf(stderr, "sudo: unknown group %s\n", optarg), 1;
            if (entry) group = entry->gr_gid;
        } else if (option != 'n') return 1;
    }
    if (optind == count) return fprintf(stderr, "usage: sudo [-n] [-u USER] [-g GROUP] COMMAND\n"), 1;
    if (setgroups(0, 0) || setgid(group) || setuid(user)) return perror("sudo"), 1;
    execvp(words[optind], words + optind);
    return perror(words[optind]), 127;
}
