"""How many actions OpenSpiel's games have, for servers that name their game and not this number.

A list of legal actions does not tell it: the first position of Othello has four of sixty-five. The
numbers are those of the table from which the ids of games are registered, and a test compares the
two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Game(NamedTuple):
    """A game with the parameters that it has unless others are given.

    Attributes:
        actions: The number of actions of a player.
        players: The number of players.
    """

    actions: int
    players: int


_TEXT = """
    2048:4:1 amazons:100:2 antichess:4864:2 backgammon:1352:2 banqi:1056:2 bargaining:121:2
    battleship:300:2 blackjack:2:1 blotto:66:2 breakthrough:768:2 bridge:90:4
    bridge_uncontested_bidding:36:2 capture_the_flag:5:2 catch:3:1 checkers:512:2 chess:4674:2
    chinese_checkers:727:2 cliff_walking:4:1 clobber:120:2 coin_game:5:2 colored_trails:93123:3
    connect_four:7:2 coop_box_pushing:4:2 coop_to_1p:3:1 coordinated_mp:2:2 crazy_eights:58:5
    crazyhouse:4994:2 cribbage:2757:2 cursor_go:6:2 dark_chess:4674:2 dark_hex:9:2
    dark_hex_ir:9:2 deep_sea:2:1 dots_and_boxes:12:2 dou_dizhu:26057:3
    einstein_wurfelt_nicht:300:2 euchre:31:4 first_sealed_auction:10:2 gin_rummy:241:2 go:362:2
    go_fish:52:2 gomoku:225:2 goofspiel:13:2 hanabi:20:2 havannah:225:2 hearts:52:4 hex:121:2
    hive:5489:2 kriegspiel:4674:2 kuhn_poker:2:2 laser_tag:10:2 latent_ttt:9:2 leduc_poker:3:2
    lewis_signaling:3:2 liars_dice:13:2 liars_dice_ir:13:2 lines_of_action:8192:2 maedn:45:2
    mancala:14:2 markov_soccer:5:2 matching_pennies_3p:2:3 matrix_bos:2:2 matrix_brps:3:2
    matrix_cd:2:2 matrix_coordination:2:2 matrix_mp:2:2 matrix_pd:2:2 matrix_rps:3:2
    matrix_rpsw:4:2 matrix_sh:2:2 matrix_shapleys_game:3:2 mean_field_lin_quad:7:1
    mfg_crowd_modelling:3:1 mfg_crowd_modelling_2d:5:1 mfg_dynamic_routing:8:1 mfg_garnet:3:1
    mnk:225:2 morpion_solitaire:460:1 negotiation:342:2 nim:29:2 nine_mens_morris:600:2
    oh_hell:70:3 oshi_zumo:51:2 othello:65:2 oware:6:2 pathfinding:5:1 pentago:288:2
    phantom_go:82:2 phantom_ttt:9:2 phantom_ttt_ir:9:2 pig:2:2 python_ant_foraging:5:2
    python_block_dominoes:154:2 python_dynamic_routing:8:5 python_hangman:26:1
    python_iterated_prisoners_dilemma:2:2 python_kuhn_poker:2:2 python_liars_poker:201:2
    python_mfg_crowd_avoidance:5:2 python_mfg_crowd_modelling:3:1 python_mfg_dynamic_routing:8:1
    python_mfg_periodic_aversion:21:1 python_mfg_predator_prey:5:3 python_team_dominoes:308:4
    python_tic_tac_toe:9:2 quoridor:289:2 rbc:4674:2 repeated_leduc_poker:4:2 sheriff:10:2
    shogi:13689:2 skat:39:3 snake:4:2 social_deduction:14:6 solitaire:205:1 spades:66:4
    stones_and_gems:5:1 tarok:54:3 tic_tac_toe:9:2 tiny_bridge_2p:7:2 tiny_bridge_4p:9:4
    tiny_hanabi:3:2 trade_comm:110:2 twixt:64:2 ultimate_tic_tac_toe:9:2 universal_poker:4:2
    xiangqi:8100:2 y:361:2 yacht:44:2
"""

GAMES: dict[str, Game] = {
    name: Game(int(actions), int(players))
    for name, actions, players in (row.split(":") for row in _TEXT.split())
}
"""The games that load without parameters, by their short names."""


def actions_of_game(state: Mapping[str, Any]) -> int | None:
    """Return the number of actions of the game that ``state`` names, None if that is not sure.

    >>> actions_of_game({"game_name": "othello", "game_params": {}})
    65
    >>> actions_of_game({"game_name": "hex", "game_params": {"board_size": 5}}) is None
    True

    Args:
        state: The fields of the state of OpenEnv's OpenSpiel environment. With parameters, a game
            may have more or fewer actions.
    """
    game = GAMES.get(str(state.get("game_name")))
    if game is None or state.get("game_params"):
        return None
    is_another = state.get("num_players", game.players) != game.players
    return None if is_another else game.actions
